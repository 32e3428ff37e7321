"""The words Kiban speaks: frozen, standard library only, no behaviour beyond what a word means."""
