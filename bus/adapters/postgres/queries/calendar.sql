-- name: amendments
-- All amendments of a country's calendar.
SELECT country, day, working, decreed_on, ordinance
  FROM onesource.calendar_amendment
 WHERE country = %(country)s
 ORDER BY day, decreed_on;

-- name: amendments_of_day
-- What is loaded of one day.
SELECT country, day, working, decreed_on, ordinance
  FROM onesource.calendar_amendment
 WHERE country = %(country)s AND day = %(day)s;

-- name: add_amendment
-- Load one day of a decree.
INSERT INTO onesource.calendar_amendment (country, day, working, decreed_on, ordinance)
VALUES (%(country)s, %(day)s, %(working)s, %(decreed_on)s, %(ordinance)s);

-- name: years
-- The years of a country whose whole decree is loaded.
SELECT year, decreed_on, ordinance
  FROM onesource.calendar_year
 WHERE country = %(country)s
 ORDER BY year;

-- name: add_year
-- Note that a year's decree is loaded; nothing is returned if it was.
INSERT INTO onesource.calendar_year (country, year, decreed_on, ordinance)
VALUES (%(country)s, %(year)s, %(decreed_on)s, %(ordinance)s)
    ON CONFLICT (country, year) DO NOTHING
RETURNING year;
