"""DICOM C-STORE from the scanner into the incoming folder that the service watches.

``options`` checks what a site asks for, ``landing`` puts objects on the disk, ``stream`` takes
one off the network, ``connections`` guards the sockets, ``server`` is the application entity.
The only place with network sockets, and the only one that knows pynetdicom.
"""
