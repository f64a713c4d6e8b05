-- Amendments of the working-day calendar.
SELECT 1;
