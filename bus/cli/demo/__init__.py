"""
`onesource demo`: a real register through the real bus, with a verdict after each edition.

`scenario` says who receives what, `expectation` computes from the files what each must hold,
`observation` reads what each does hold, `stage` runs the processes, `report` prints.
"""
