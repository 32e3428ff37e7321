"""Where chat platforms deliver what people ask."""
