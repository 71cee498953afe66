"""What the tests of several floors share: scripted peers, named faults, children, readers of case files."""
