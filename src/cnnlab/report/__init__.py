"""What is handed in: figures, tables, and documents as HTML, PDF, LaTeX and notebooks. Never imports torch."""
