"""The files of Swagger UI, in ``static``, compressed with gzip. There is no code."""
