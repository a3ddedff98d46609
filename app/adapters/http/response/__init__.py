"""An answer on its way out.

responses      the JSON documents, one type each
json_response  a document as a response
problems       errors as application/problem+json: where a request's exceptions end
"""
