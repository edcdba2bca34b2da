"""Episodes of recordings in HDF5: `hdf5:PATH`, a file or a folder of files of ALOHA, robomimic or
stable-worldmodel, and `minari:PATH_OR_ID`, a Minari data set."""

from orrery.data.record.hdf5.minari import MinariSource, minari_source
from orrery.data.record.hdf5.source import Hdf5Source, hdf5_source

__all__ = ["Hdf5Source", "MinariSource", "hdf5_source", "minari_source"]
