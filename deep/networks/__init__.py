"""Networks whose weights answer to β. Each takes β as an argument and stores none."""
