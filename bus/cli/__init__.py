"""The command `onesource`: one module a command group, heavy imports inside the commands."""
