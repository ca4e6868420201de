"""Target profiles (data only), loads, and one adapter a platform."""
