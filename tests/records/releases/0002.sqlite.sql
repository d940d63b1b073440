BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE anchors (
	seq BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	time TEXT NOT NULL, 
	CONSTRAINT pk_anchors PRIMARY KEY (seq)
);
INSERT INTO "anchors" VALUES(5,'dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be','2025-03-01T12:31:15.123456Z');
CREATE TABLE audit (
	seq BIGINT NOT NULL, 
	time TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	action TEXT NOT NULL, 
	resource TEXT NOT NULL, 
	allowed BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	policy_digest TEXT NOT NULL, 
	kernel TEXT, 
	notebook TEXT, 
	cell_digest TEXT, 
	previous_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, mode TEXT, 
	CONSTRAINT pk_audit PRIMARY KEY (seq), 
	CONSTRAINT uq_audit_hash UNIQUE (hash)
);
INSERT INTO "audit" VALUES(1,'2025-03-01T12:30:15.123456Z','ana','data.read','nyc/flights',1,'granted','p.yaml:3 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,NULL,NULL,'0000000000000000000000000000000000000000000000000000000000000000','69598c1724dfcf2b3cab869ce2c9f7dc4eddd802d60f3c83d26f9e9f7cc001d2',NULL);
INSERT INTO "audit" VALUES(2,'2025-03-01T12:30:16.123456Z','ana','data.read','nyc/flights',1,'granted','p.yaml:3 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,NULL,NULL,'69598c1724dfcf2b3cab869ce2c9f7dc4eddd802d60f3c83d26f9e9f7cc001d2','47c1154af9dce5e294b20fc4edea309df1ea9ec5511530d3ebe4406d9751449e',NULL);
INSERT INTO "audit" VALUES(3,'2025-03-01T12:30:17.123456Z','ana','data.read','péché/π ''quoted'' "twice" \ back
line',1,'granted','p.yaml:3 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,NULL,NULL,'47c1154af9dce5e294b20fc4edea309df1ea9ec5511530d3ebe4406d9751449e','d5f1af32d20a489fcc59ac62363867a91adcc4247297ba1071e5073b84a450cf',NULL);
INSERT INTO "audit" VALUES(4,'2025-03-01T12:30:18.123456Z','ana','data.read','nyc/flights',0,'granted','p.yaml:3 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,NULL,NULL,'d5f1af32d20a489fcc59ac62363867a91adcc4247297ba1071e5073b84a450cf','98ebc727926e008dd4e595e4b8e85b4e83b65b01036f9f7a8b79e2fc7a4fb82e','enforce');
INSERT INTO "audit" VALUES(5,'2025-03-01T12:30:19.123456Z','ana','data.read','nyc/flights',1,'granted','p.yaml:3 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,NULL,NULL,'98ebc727926e008dd4e595e4b8e85b4e83b65b01036f9f7a8b79e2fc7a4fb82e','dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be',NULL);
INSERT INTO "audit" VALUES(6,'2025-03-01T12:32:15.123456Z','ben','data.read','nyc/flights',1,'granted','p.yaml:3 r','',NULL,NULL,NULL,'dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be','cca694b789e8b5cd1336984172e8bae4c843c3a4231080afb85955bc0fedd0a9',NULL);
CREATE TABLE charges (
	principal TEXT NOT NULL, 
	hour BIGINT NOT NULL, 
	cpu_s DOUBLE NOT NULL, 
	memory_gib_s DOUBLE NOT NULL, 
	kernels INTEGER NOT NULL, 
	CONSTRAINT pk_charges PRIMARY KEY (principal, hour)
);
INSERT INTO "charges" VALUES('ana',483564,49.0,10.0,4);
INSERT INTO "charges" VALUES('ben',483559,3.00000000000000044408e-01,1.0e-07,2);
CREATE TABLE checks (
	submission TEXT NOT NULL, 
	name TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	title TEXT NOT NULL, 
	state TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	findings JSON NOT NULL, 
	progress JSON, 
	seconds DOUBLE, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_checks PRIMARY KEY (submission, name), 
	CONSTRAINT fk_checks_submission FOREIGN KEY(submission) REFERENCES submissions (id)
);
INSERT INTO "checks" VALUES('s-1','clean-run',1,'Clean run','passed','péché/π ''quoted'' "twice" \ back
line','[{"cell": 1}]','{"done": 3, "total": 3}',1.25,1.74083221512345600124e+09);
CREATE TABLE grants (
	id TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	request TEXT, 
	rule TEXT NOT NULL, 
	granted_by TEXT NOT NULL, 
	granted_at DOUBLE NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	revoked_at DOUBLE, 
	CONSTRAINT pk_grants PRIMARY KEY (id), 
	CONSTRAINT fk_grants_request FOREIGN KEY(request) REFERENCES requests (id)
);
INSERT INTO "grants" VALUES('g1','ana','hr/salaries','r1','p.yaml:4 r','carol',1.74083221512345600124e+09,1.74342421512345600127e+09,NULL);
CREATE TABLE leases (
	id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	kernel_id TEXT NOT NULL, 
	kernelspec TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	notebook TEXT, 
	submission TEXT, 
	profile TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	policy_digest TEXT NOT NULL, 
	memory_limit_bytes BIGINT NOT NULL, 
	cpus DOUBLE NOT NULL, 
	idle_limit_s INTEGER, 
	state TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	started_at DOUBLE, 
	beat_at DOUBLE NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	ended_at DOUBLE, 
	reason TEXT NOT NULL, 
	pid INTEGER, 
	report JSON, 
	cpu_s DOUBLE NOT NULL, 
	cpu_counter_s DOUBLE NOT NULL, 
	cpu_percent DOUBLE NOT NULL, 
	memory_bytes BIGINT NOT NULL, 
	memory_peak_bytes BIGINT NOT NULL, 
	memory_gib_s DOUBLE NOT NULL, 
	idle_s DOUBLE NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (id), 
	CONSTRAINT ck_leases_state CHECK (state in ('starting', 'active', 'closing', 'settled', 'expired')), 
	CONSTRAINT uq_leases_principal_key UNIQUE (principal, "key")
);
INSERT INTO "leases" VALUES('l0','key-l0','ana','kernel','kernel-l0','python3','/w',NULL,NULL,'small','p.yaml:9 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',2147483648,1.5,NULL,'starting',1.74083221512345600124e+09,NULL,1.74083221512345600124e+09,1.74083227512345600123e+09,NULL,'',NULL,NULL,0.0,0.0,0.0,0,0,0.0,0.0);
INSERT INTO "leases" VALUES('l1','key-l1','ana','kernel','kernel-l1','python3','/w',NULL,NULL,'small','p.yaml:9 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',2147483648,1.5,NULL,'active',1.74083221512345600124e+09,1.74083221512345600124e+09,1.74083224512345600132e+09,1.74083230512345600127e+09,NULL,'',7,'{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}',12.25,12.25,4.08333333333333357026e+01,1073741824,2147483648,0.0,0.0);
INSERT INTO "leases" VALUES('l2','key-l2','ana','kernel','kernel-l2','python3','/w',NULL,NULL,'small','p.yaml:9 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',2147483648,1.5,NULL,'closing',1.74083221512345600124e+09,1.74083221512345600124e+09,1.74083224512345600132e+09,1.74083230512345600127e+09,NULL,'',7,'{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}',12.25,12.25,4.08333333333333357026e+01,1073741824,2147483648,0.0,0.0);
INSERT INTO "leases" VALUES('l3','key-l3','ana','kernel','kernel-l3','python3','/w',NULL,NULL,'small','p.yaml:9 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',2147483648,1.5,NULL,'settled',1.74083221512345600124e+09,1.74083221512345600124e+09,1.74083224512345600132e+09,1.74083230512345600127e+09,1.74083225512345600126e+09,'péché/π ''quoted'' "twice" \ back
line',7,'{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}',12.25,12.25,0.0,0,2147483648,10.0,0.0);
INSERT INTO "leases" VALUES('l4','key-l4','ana','kernel','kernel-l4','python3','/w',NULL,NULL,'small','p.yaml:9 r','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',2147483648,1.5,NULL,'expired',1.74083221512345600124e+09,1.74083221512345600124e+09,1.74083224512345600132e+09,1.7407458151234560013e+09,1.74083224512345600132e+09,'no beats',7,'{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}',12.25,12.25,0.0,0,2147483648,0.0,0.0);
CREATE TABLE profile_choices (
	principal TEXT NOT NULL, 
	notebook TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	chosen_at DOUBLE NOT NULL, 
	CONSTRAINT pk_profile_choices PRIMARY KEY (principal, notebook)
);
INSERT INTO "profile_choices" VALUES('ana','a.ipynb','large',1.74083221512345600124e+09);
INSERT INTO "profile_choices" VALUES('ana','','small',1.74083221512345600124e+09);
CREATE TABLE requests (
	id TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	days INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	decided_by TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_requests PRIMARY KEY (id), 
	CONSTRAINT ck_requests_state CHECK (state in ('open', 'granted', 'refused', 'expired'))
);
INSERT INTO "requests" VALUES('r1','ana','access','hr/salaries','péché/π ''quoted'' "twice" \ back
line',30,'granted','','p.yaml:4 r','carol',1.74083221512345600124e+09,1.74083221512345600124e+09,2);
CREATE TABLE submissions (
	id TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	notebook TEXT NOT NULL, 
	notebook_digest TEXT NOT NULL, 
	frozen TEXT NOT NULL, 
	draft BOOLEAN NOT NULL, 
	parameters JSON NOT NULL, 
	reason TEXT NOT NULL, 
	state TEXT NOT NULL, 
	error TEXT NOT NULL, 
	content_digest TEXT NOT NULL, 
	evidence_digest TEXT NOT NULL, 
	package TEXT NOT NULL, 
	package_path TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_submissions PRIMARY KEY (id), 
	CONSTRAINT uq_submissions_principal_key UNIQUE (principal, "key"), 
	CONSTRAINT uq_submissions_principal_name_version UNIQUE (principal, name, version)
);
INSERT INTO "submissions" VALUES('s-1','ana','k1','delays',1,'delays.ipynb','','',0,'{"year": 2013, "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}','','in_review','','','','','',1.74083221512345600124e+09,1.74083221512345600124e+09,7);
CREATE INDEX ix_audit_principal_seq ON audit (principal, seq);
CREATE INDEX ix_leases_principal_kind_state ON leases (principal, kind, state);
CREATE INDEX ix_leases_state_expires_at ON leases (state, expires_at);
CREATE INDEX ix_requests_principal_created_at ON requests (principal, created_at);
CREATE INDEX ix_submissions_principal_created_at ON submissions (principal, created_at);
CREATE INDEX ix_grants_principal_dataset ON grants (principal, dataset);
COMMIT;
