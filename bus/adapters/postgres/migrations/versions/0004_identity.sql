-- Accounts of people and services, their tokens.
SELECT 1;
