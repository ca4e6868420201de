# The public image is built without protected mode: who may reach it is for Docker's networks to say.
exec "$@" --protected-mode no
