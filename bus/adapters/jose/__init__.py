"""Signed tokens (JWT, JWS, JWK): our own sessions, and what an identity provider says."""
