-- What the control plane decides on: documents, their deadlines, their events.
SELECT 1;
