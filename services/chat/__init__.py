"""The chat API, compatible with OpenAI's, and its page."""
