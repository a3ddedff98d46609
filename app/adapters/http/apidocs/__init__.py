"""The description of the API, generated from the types that the server decodes and encodes with.

endpoints  the table of REST endpoints, from which the routes and /openapi.json are generated
schemas    /openapi.json and /asyncapi.json
docs_page  the HTML pages /docs and /docs/errors
pages      all of these documents by URL path
"""
