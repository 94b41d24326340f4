BEGIN TRANSACTION;
CREATE TABLE cases (
  case_id INTEGER PRIMARY KEY AUTOINCREMENT,
  study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, revision INTEGER NOT NULL,
  state TEXT NOT NULL, step TEXT NOT NULL DEFAULT 'watch', progress REAL NOT NULL DEFAULT 0,
  message TEXT NOT NULL DEFAULT '', reason TEXT, info TEXT NOT NULL,
  received INTEGER NOT NULL DEFAULT 0, expected INTEGER,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, result_dir TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, files TEXT NOT NULL DEFAULT '[]',
  UNIQUE (study_uid, series_uid, revision));
INSERT INTO "cases" VALUES(1,'1.2','1.2.1',1,'OUTDATED','show',1.0,'2 slices to come',NULL,'{"study_instance_uid": "1.2", "series_instance_uid": "1.2.1", "frame_of_reference_uid": "", "patient_id": "", "patient_name": "Νικολάου^Ελένη", "birth_date": "", "sex": null, "age_years": 61.0, "study_date": "", "study_time": "", "accession_number": "", "study_description": "", "series_description": "", "series_number": null, "modality": "", "manufacturer": "", "scanner_model": "", "kvp": null, "kernel": "", "slice_thickness_mm": null, "phase_percent": null, "image_type": ["A", "B"], "contrast_agent": "", "specific_character_set": ""}',64,64,'2026-11-24T21:06:39.360Z','2026-11-24T21:06:39.361Z','1.2.1_r1',1,'["a", "b"]');
INSERT INTO "cases" VALUES(2,'1.2','1.2.1',2,'RUNNING','watch',0.0,'',NULL,'{"study_instance_uid": "1.2", "series_instance_uid": "1.2.1", "frame_of_reference_uid": "", "patient_id": "", "patient_name": "Νικολάου^Ελένη", "birth_date": "", "sex": null, "age_years": 61.0, "study_date": "", "study_time": "", "accession_number": "", "study_description": "", "series_description": "", "series_number": null, "modality": "", "manufacturer": "", "scanner_model": "", "kvp": null, "kernel": "", "slice_thickness_mm": null, "phase_percent": null, "image_type": ["A", "B"], "contrast_agent": "", "specific_character_set": ""}',65,64,'2026-11-24T21:06:39.361Z','2026-11-24T21:06:39.361Z',NULL,1,'["a", "b", "c"]');
INSERT INTO "cases" VALUES(3,'1.2','1.2.2',1,'NOT_ANALYSABLE','watch',0.0,'','{"code": "LOCALIZER", "text": "It is a scout.", "next_step": ""}','{"study_instance_uid": "1.2", "series_instance_uid": "1.2.2", "frame_of_reference_uid": "", "patient_id": "", "patient_name": "Νικολάου^Ελένη", "birth_date": "", "sex": null, "age_years": 61.0, "study_date": "", "study_time": "", "accession_number": "", "study_description": "", "series_description": "", "series_number": null, "modality": "", "manufacturer": "", "scanner_model": "", "kvp": null, "kernel": "", "slice_thickness_mm": null, "phase_percent": null, "image_type": ["A", "B"], "contrast_agent": "", "specific_character_set": ""}',1,NULL,'2026-11-24T21:06:39.361Z','2026-11-24T21:06:39.361Z',NULL,0,'["x"]');
CREATE TABLE events (
  event_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL REFERENCES cases,
  at TEXT NOT NULL, state_from TEXT, state_to TEXT NOT NULL, code TEXT NOT NULL DEFAULT '');
INSERT INTO "events" VALUES(1,1,'2026-11-24T21:06:39.360Z',NULL,'SEEN','');
INSERT INTO "events" VALUES(2,1,'2026-11-24T21:06:39.360Z','SEEN','SETTLING','');
INSERT INTO "events" VALUES(3,1,'2026-11-24T21:06:39.360Z','SETTLING','READY','');
INSERT INTO "events" VALUES(4,1,'2026-11-24T21:06:39.360Z','READY','RUNNING','');
INSERT INTO "events" VALUES(5,1,'2026-11-24T21:06:39.360Z','RUNNING','DONE','');
INSERT INTO "events" VALUES(6,1,'2026-11-24T21:06:39.361Z','DONE','OUTDATED','');
INSERT INTO "events" VALUES(7,2,'2026-11-24T21:06:39.361Z',NULL,'SEEN','');
INSERT INTO "events" VALUES(8,2,'2026-11-24T21:06:39.361Z','SEEN','READY','');
INSERT INTO "events" VALUES(9,2,'2026-11-24T21:06:39.361Z','READY','RUNNING','');
INSERT INTO "events" VALUES(10,3,'2026-11-24T21:06:39.361Z',NULL,'SEEN','');
INSERT INTO "events" VALUES(11,3,'2026-11-24T21:06:39.361Z','SEEN','NOT_ANALYSABLE','LOCALIZER');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('changes','11');
INSERT INTO "meta" VALUES('heartbeat','1795554399.3615499');
CREATE INDEX cases_state ON cases (state);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only added to'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only added to'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('cases',3);
INSERT INTO "sqlite_sequence" VALUES('events',11);
COMMIT;
PRAGMA user_version = 1;
