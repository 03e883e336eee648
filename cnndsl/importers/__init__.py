"""Networks from elsewhere: models of other formats as graphs with their weights."""
