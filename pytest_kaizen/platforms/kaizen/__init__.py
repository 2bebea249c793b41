"""What only a server of ours takes: whole runs, as the store on a machine has them."""
