"""The API described by the server itself, from the types that it reads and writes with.

endpoints  the REST API as a table: routes and OpenAPI are made from it
schemas    /openapi.json and /asyncapi.json
docs_page  the same for people, at /docs
pages      where these documents are served
"""
