import type { TranslationBundle } from '@jupyterlab/translation';

import type { AccessRequest } from '../api/generated/openapi';
import type { Tone } from './Badge';
import type { IconKind } from './StatusIcon';

/** Tone, icon and word for each state of a request. */
export function requestLooks(trans: TranslationBundle): Record<AccessRequest['state'], [Tone, IconKind, string]> {
  return {
    open: ['plain', 'waiting', trans.__('waiting')],
    granted: ['good', 'passed', trans.__('granted')],
    refused: ['bad', 'locked', trans.__('refused')],
    expired: ['plain', 'not_checked', trans.__('expired')],
    revoked: ['ask', 'info', trans.__('taken back')]
  };
}
