-- A sealed command that its agent withdrew is `cancelled`, one that nobody decided in time is `expired`: both recorded.
ALTER TABLE sealed_command DROP CONSTRAINT sealed_command_state_check
--;
ALTER TABLE sealed_command ADD CONSTRAINT sealed_command_state_check
CHECK (state IN ('pending', 'approved', 'denied', 'executed', 'cancelled', 'expired'))
--;
CREATE INDEX sealed_command_due ON sealed_command (expires_us) WHERE state = 'pending'
