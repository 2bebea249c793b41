"""The platforms that results can be kept on: their JSON (``wire``) and their clients (``client``).

Each platform is a package of its own, on top of ``base``; none knows another.
"""
