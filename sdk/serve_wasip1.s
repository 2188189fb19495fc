// An empty assembly file lets serve_wasip1.go declare main.main without a body.
