"""What the documentation is made with: pages and pictures from the code itself."""
