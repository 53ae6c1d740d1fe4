"""The page's HTTP interface: each module serves one subject, and lists its routes in ``ROUTES``."""
