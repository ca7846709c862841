"""leanspike: spiking networks with few timesteps, few spikes, few bits and few synapses."""

__version__ = "0.1.0"
