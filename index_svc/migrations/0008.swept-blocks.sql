-- Merging leaves as many dead blocks as it writes: swept often, their room is used again, 13 bytes a posting instead of 30.
-- depends: 0007.sounds

ALTER TABLE blocks SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
