"""What people correct in a result: edits as data, and the numbers that follow from them."""
