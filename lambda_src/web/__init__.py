"""The function behind the web page: the page itself, the list of results, uploads and pictures."""
