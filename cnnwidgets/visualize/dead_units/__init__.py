"""Why does this unit never fire? Its activity on finished pictures, retries, and what its weights allow."""
