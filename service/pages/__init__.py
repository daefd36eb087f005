"""What people look at: the routes described at ``/docs``, and the rooms below ``/app``."""
