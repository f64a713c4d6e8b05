-- name: index
-- Keep what something is found by.
INSERT INTO onesource.search_document
       (kind, id, jurisdiction, zone, title, title_tokens, tokens)
VALUES (%(kind)s, %(id)s, %(jurisdiction)s, %(zone)s, %(title)s, %(title_tokens)s, %(tokens)s)
    ON CONFLICT (kind, id) DO UPDATE
   SET jurisdiction = EXCLUDED.jurisdiction,
       zone = EXCLUDED.zone,
       title = EXCLUDED.title,
       title_tokens = EXCLUDED.title_tokens,
       tokens = EXCLUDED.tokens,
       updated_at = now();

-- name: remove
-- Let something be found no more.
DELETE FROM onesource.search_document WHERE kind = %(kind)s AND id = %(id)s;

-- name: find
-- What has all the tokens: most of them in titles first, then by title.
SELECT kind, id, jurisdiction, title, matches
  FROM (SELECT kind, id, jurisdiction, title,
               (SELECT count(*)::int FROM unnest(%(tokens)s::text[]) token
                 WHERE token = ANY (title_tokens)) AS matches
          FROM onesource.search_document
         WHERE tokens @> %(tokens)s::text[]
           AND (%(zone)s::text IS NULL OR zone = %(zone)s)
           AND (%(jurisdictions)s::text[] IS NULL OR jurisdiction = ANY (%(jurisdictions)s))
           AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s))) found
 WHERE %(matches)s::int IS NULL
    OR (-matches, title, kind, id) > (-%(matches)s, %(title)s, %(kind)s, %(id)s)
 ORDER BY -matches, title, kind, id
 LIMIT %(limit)s;
