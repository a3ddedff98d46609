"""Build responses: JSON documents and errors.

responses      the types of the JSON documents
json_response  encoding a document as a response
problems       turning a handler's exceptions into application/problem+json
"""
