import { spawnSync } from 'child_process';
import * as path from 'path';

const ROOT = path.resolve(__dirname, '../../..');
const GENERATED = 'labextension/src/api/generated/openapi.ts';

function check(output: string): number | null {
  const flags = ['--root-types', '--root-types-no-schema-prefix', '--check', '--output', output];
  const program = path.join(ROOT, 'node_modules/openapi-typescript/bin/cli.js');
  return spawnSync(process.execPath, [program, 'jupyter_guardrails/server/openapi.yaml', ...flags], { cwd: ROOT })
    .status;
}

describe('generated types', () => {
  it('are those of openapi.yaml (else run `jlpm types`)', () => expect(check(GENERATED)).toBe(0));

  it('would be found out of date', () => expect(check('labextension/src/index.ts')).not.toBe(0));
});
