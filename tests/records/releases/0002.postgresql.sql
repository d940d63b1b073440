CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.anchors (
    seq bigint NOT NULL,
    hash text NOT NULL,
    "time" text NOT NULL
);
CREATE TABLE public.audit (
    seq bigint NOT NULL,
    "time" text NOT NULL,
    principal text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    allowed boolean NOT NULL,
    reason text NOT NULL,
    rule text NOT NULL,
    policy_digest text NOT NULL,
    kernel text,
    notebook text,
    cell_digest text,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    mode text
);
CREATE TABLE public.charges (
    principal text NOT NULL,
    hour bigint NOT NULL,
    cpu_s double precision NOT NULL,
    memory_gib_s double precision NOT NULL,
    kernels integer NOT NULL
);
CREATE TABLE public.checks (
    submission text NOT NULL,
    name text NOT NULL,
    "position" integer NOT NULL,
    title text NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    findings json NOT NULL,
    progress json,
    seconds double precision,
    updated_at double precision NOT NULL
);
CREATE TABLE public.grants (
    id text NOT NULL,
    principal text NOT NULL,
    dataset text NOT NULL,
    request text,
    rule text NOT NULL,
    granted_by text NOT NULL,
    granted_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    revoked_at double precision
);
CREATE TABLE public.leases (
    id text NOT NULL,
    key text NOT NULL,
    principal text NOT NULL,
    kind text NOT NULL,
    kernel_id text NOT NULL,
    kernelspec text NOT NULL,
    workspace text NOT NULL,
    notebook text,
    submission text,
    profile text NOT NULL,
    rule text NOT NULL,
    policy_digest text NOT NULL,
    memory_limit_bytes bigint NOT NULL,
    cpus double precision NOT NULL,
    idle_limit_s integer,
    state text NOT NULL,
    created_at double precision NOT NULL,
    started_at double precision,
    beat_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    ended_at double precision,
    reason text NOT NULL,
    pid integer,
    report json,
    cpu_s double precision NOT NULL,
    cpu_counter_s double precision NOT NULL,
    cpu_percent double precision NOT NULL,
    memory_bytes bigint NOT NULL,
    memory_peak_bytes bigint NOT NULL,
    memory_gib_s double precision NOT NULL,
    idle_s double precision NOT NULL,
    CONSTRAINT ck_leases_state CHECK ((state = ANY (ARRAY['starting'::text, 'active'::text, 'closing'::text, 'settled'::text, 'expired'::text])))
);
CREATE TABLE public.profile_choices (
    principal text NOT NULL,
    notebook text NOT NULL,
    profile text NOT NULL,
    chosen_at double precision NOT NULL
);
CREATE TABLE public.requests (
    id text NOT NULL,
    principal text NOT NULL,
    kind text NOT NULL,
    dataset text NOT NULL,
    purpose text NOT NULL,
    days integer NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    rule text NOT NULL,
    decided_by text NOT NULL,
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    revision integer NOT NULL,
    CONSTRAINT ck_requests_state CHECK ((state = ANY (ARRAY['open'::text, 'granted'::text, 'refused'::text, 'expired'::text])))
);
CREATE TABLE public.submissions (
    id text NOT NULL,
    principal text NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    notebook text NOT NULL,
    notebook_digest text NOT NULL,
    frozen text NOT NULL,
    draft boolean NOT NULL,
    parameters json NOT NULL,
    reason text NOT NULL,
    state text NOT NULL,
    error text NOT NULL,
    content_digest text NOT NULL,
    evidence_digest text NOT NULL,
    package text NOT NULL,
    package_path text NOT NULL,
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    revision integer NOT NULL
);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.anchors VALUES (5, 'dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be', '2025-03-01T12:31:15.123456Z');
INSERT INTO public.audit VALUES (1, '2025-03-01T12:30:15.123456Z', 'ana', 'data.read', 'nyc/flights', true, 'granted', 'p.yaml:3 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, NULL, NULL, '0000000000000000000000000000000000000000000000000000000000000000', '69598c1724dfcf2b3cab869ce2c9f7dc4eddd802d60f3c83d26f9e9f7cc001d2', NULL);
INSERT INTO public.audit VALUES (2, '2025-03-01T12:30:16.123456Z', 'ana', 'data.read', 'nyc/flights', true, 'granted', 'p.yaml:3 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, NULL, NULL, '69598c1724dfcf2b3cab869ce2c9f7dc4eddd802d60f3c83d26f9e9f7cc001d2', '47c1154af9dce5e294b20fc4edea309df1ea9ec5511530d3ebe4406d9751449e', NULL);
INSERT INTO public.audit VALUES (3, '2025-03-01T12:30:17.123456Z', 'ana', 'data.read', 'péché/π ''quoted'' "twice" \ back
line', true, 'granted', 'p.yaml:3 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, NULL, NULL, '47c1154af9dce5e294b20fc4edea309df1ea9ec5511530d3ebe4406d9751449e', 'd5f1af32d20a489fcc59ac62363867a91adcc4247297ba1071e5073b84a450cf', NULL);
INSERT INTO public.audit VALUES (4, '2025-03-01T12:30:18.123456Z', 'ana', 'data.read', 'nyc/flights', false, 'granted', 'p.yaml:3 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, NULL, NULL, 'd5f1af32d20a489fcc59ac62363867a91adcc4247297ba1071e5073b84a450cf', '98ebc727926e008dd4e595e4b8e85b4e83b65b01036f9f7a8b79e2fc7a4fb82e', 'enforce');
INSERT INTO public.audit VALUES (5, '2025-03-01T12:30:19.123456Z', 'ana', 'data.read', 'nyc/flights', true, 'granted', 'p.yaml:3 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, NULL, NULL, '98ebc727926e008dd4e595e4b8e85b4e83b65b01036f9f7a8b79e2fc7a4fb82e', 'dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be', NULL);
INSERT INTO public.audit VALUES (6, '2025-03-01T12:32:15.123456Z', 'ben', 'data.read', 'nyc/flights', true, 'granted', 'p.yaml:3 r', '', NULL, NULL, NULL, 'dd114070dd94e6a9c6603738d16f85dcc0915be7c3bb732212b15871ecbaf0be', 'cca694b789e8b5cd1336984172e8bae4c843c3a4231080afb85955bc0fedd0a9', NULL);
INSERT INTO public.charges VALUES ('ana', 483564, 49, 10, 4);
INSERT INTO public.charges VALUES ('ben', 483559, 0.30000000000000004, 1e-07, 2);
INSERT INTO public.checks VALUES ('s-1', 'clean-run', 1, 'Clean run', 'passed', 'péché/π ''quoted'' "twice" \ back
line', '[{"cell": 1}]', '{"done": 3, "total": 3}', 1.25, 1740832215.123456);
INSERT INTO public.grants VALUES ('g1', 'ana', 'hr/salaries', 'r1', 'p.yaml:4 r', 'carol', 1740832215.123456, 1743424215.123456, NULL);
INSERT INTO public.leases VALUES ('l0', 'key-l0', 'ana', 'kernel', 'kernel-l0', 'python3', '/w', NULL, NULL, 'small', 'p.yaml:9 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2147483648, 1.5, NULL, 'starting', 1740832215.123456, NULL, 1740832215.123456, 1740832275.123456, NULL, '', NULL, NULL, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.leases VALUES ('l1', 'key-l1', 'ana', 'kernel', 'kernel-l1', 'python3', '/w', NULL, NULL, 'small', 'p.yaml:9 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2147483648, 1.5, NULL, 'active', 1740832215.123456, 1740832215.123456, 1740832245.123456, 1740832305.123456, NULL, '', 7, '{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}', 12.25, 12.25, 40.833333333333336, 1073741824, 2147483648, 0, 0);
INSERT INTO public.leases VALUES ('l2', 'key-l2', 'ana', 'kernel', 'kernel-l2', 'python3', '/w', NULL, NULL, 'small', 'p.yaml:9 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2147483648, 1.5, NULL, 'closing', 1740832215.123456, 1740832215.123456, 1740832245.123456, 1740832305.123456, NULL, '', 7, '{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}', 12.25, 12.25, 40.833333333333336, 1073741824, 2147483648, 0, 0);
INSERT INTO public.leases VALUES ('l3', 'key-l3', 'ana', 'kernel', 'kernel-l3', 'python3', '/w', NULL, NULL, 'small', 'p.yaml:9 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2147483648, 1.5, NULL, 'settled', 1740832215.123456, 1740832215.123456, 1740832245.123456, 1740832305.123456, 1740832255.123456, 'péché/π ''quoted'' "twice" \ back
line', 7, '{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}', 12.25, 12.25, 0, 0, 2147483648, 10, 0);
INSERT INTO public.leases VALUES ('l4', 'key-l4', 'ana', 'kernel', 'kernel-l4', 'python3', '/w', NULL, NULL, 'small', 'p.yaml:9 r', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2147483648, 1.5, NULL, 'expired', 1740832215.123456, 1740832215.123456, 1740832245.123456, 1740745815.123456, 1740832245.123456, 'no beats', 7, '{"guarantees": [{"name": "files", "held": true}], "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}', 12.25, 12.25, 0, 0, 2147483648, 0, 0);
INSERT INTO public.profile_choices VALUES ('ana', 'a.ipynb', 'large', 1740832215.123456);
INSERT INTO public.profile_choices VALUES ('ana', '', 'small', 1740832215.123456);
INSERT INTO public.requests VALUES ('r1', 'ana', 'access', 'hr/salaries', 'péché/π ''quoted'' "twice" \ back
line', 30, 'granted', '', 'p.yaml:4 r', 'carol', 1740832215.123456, 1740832215.123456, 2);
INSERT INTO public.submissions VALUES ('s-1', 'ana', 'k1', 'delays', 1, 'delays.ipynb', '', '', false, '{"year": 2013, "odd": "p\u00e9ch\u00e9/\u03c0 ''quoted'' \"twice\" \\ back\nline"}', '', 'in_review', '', '', '', '', '', 1740832215.123456, 1740832215.123456, 7);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.anchors
    ADD CONSTRAINT pk_anchors PRIMARY KEY (seq);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (seq);
ALTER TABLE ONLY public.charges
    ADD CONSTRAINT pk_charges PRIMARY KEY (principal, hour);
ALTER TABLE ONLY public.checks
    ADD CONSTRAINT pk_checks PRIMARY KEY (submission, name);
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT pk_grants PRIMARY KEY (id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (id);
ALTER TABLE ONLY public.profile_choices
    ADD CONSTRAINT pk_profile_choices PRIMARY KEY (principal, notebook);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT pk_requests PRIMARY KEY (id);
ALTER TABLE ONLY public.submissions
    ADD CONSTRAINT pk_submissions PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT uq_audit_hash UNIQUE (hash);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT uq_leases_principal_key UNIQUE (principal, key);
ALTER TABLE ONLY public.submissions
    ADD CONSTRAINT uq_submissions_principal_key UNIQUE (principal, key);
ALTER TABLE ONLY public.submissions
    ADD CONSTRAINT uq_submissions_principal_name_version UNIQUE (principal, name, version);
CREATE INDEX ix_audit_principal_seq ON public.audit USING btree (principal, seq);
CREATE INDEX ix_grants_principal_dataset ON public.grants USING btree (principal, dataset);
CREATE INDEX ix_leases_principal_kind_state ON public.leases USING btree (principal, kind, state);
CREATE INDEX ix_leases_state_expires_at ON public.leases USING btree (state, expires_at);
CREATE INDEX ix_requests_principal_created_at ON public.requests USING btree (principal, created_at);
CREATE INDEX ix_submissions_principal_created_at ON public.submissions USING btree (principal, created_at);
ALTER TABLE ONLY public.checks
    ADD CONSTRAINT fk_checks_submission FOREIGN KEY (submission) REFERENCES public.submissions(id);
ALTER TABLE ONLY public.grants
    ADD CONSTRAINT fk_grants_request FOREIGN KEY (request) REFERENCES public.requests(id);
