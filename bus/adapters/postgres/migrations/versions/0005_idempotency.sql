-- Answers to requests that may be sent again.
SELECT 1;
