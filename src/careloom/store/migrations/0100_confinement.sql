-- Whom an account or a token may see: NULL everybody, else whoever these name (Patient/7, Group/x, Location/ward-3) at the
-- moment of a request, taken together; '{}' is nobody. Patients that were written here before stay as they are.
ALTER TABLE account RENAME patients TO confined_to;
ALTER TABLE token ADD confined_to text[];
