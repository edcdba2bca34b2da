"""What the worlds of rigid bodies on a table share: physics, sound, rays, materials, words."""
