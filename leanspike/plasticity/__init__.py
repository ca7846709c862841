"""Learning without back-propagation: spike-timing-dependent plasticity, Diehl & Cook's network, labels, programs."""
