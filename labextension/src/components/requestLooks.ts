import type { TranslationBundle } from '@jupyterlab/translation';

import type { AccessRequest } from '../api/generated/openapi';
import type { Look } from './Badge';

/** Tone, icon and word for each state of a request. */
export function requestLooks(trans: TranslationBundle): Record<AccessRequest['state'], Look> {
  return {
    open: ['plain', 'waiting', trans.__('waiting')],
    granted: ['good', 'passed', trans.__('granted')],
    refused: ['bad', 'locked', trans.__('refused')],
    expired: ['plain', 'not_checked', trans.__('expired')],
    revoked: ['ask', 'info', trans.__('taken back')]
  };
}

/** What became of a request, by whom, in whose words; what to do where it is over. */
export function answerOf(
  { state, reason = '', decided_by: by = '', person }: AccessRequest,
  trans: TranslationBundle
): string {
  const words: Record<AccessRequest['state'], string> = {
    open: trans.__('Nobody has answered yet.'),
    granted: by ? trans.__('Granted by %1', by) : trans.__('Granted'),
    refused: by ? trans.__('Refused by %1', by) : trans.__('Refused'),
    expired: trans.__('Its time is over: ask again if you still need it'),
    revoked: by === person ? trans.__('Given back by you') : trans.__('Taken back by %1', by)
  };
  return reason ? trans.__('%1: %2', words[state], reason) : words[state];
}
