import type { Event } from '@jupyterlab/services';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { PollModel } from './pollModel';

/** The event of server/events/changed.yaml: only a hint to read again, since anyone may send it. */
export const CHANGED = 'https://guardrails.example.com/events/changed';

/** Topic of a hint -> the models that show something of it. */
export type Followed = ReadonlyMap<unknown, readonly PollModel[]>;

type Stream = ISignal<unknown, Event.Emission>;

/** Have models read again what others have changed, while they can be seen; and when the person comes back to this page. */
export function followChanges(stream: Stream, followed: Followed): IDisposable {
  const read = (models: readonly PollModel[]): void => {
    if (!document.hidden) {
      models.filter(({ inSight }) => inSight).forEach(model => void model.refresh());
    }
  };
  const onEvent = (_: unknown, event: Event.Emission): void => {
    if (event.schema_id === CHANGED) {
      read(followed.get(event.topic) ?? []);
    }
  };
  const onBack = (): void => read([...new Set([...followed.values()].flat())]);
  stream.connect(onEvent);
  document.addEventListener('visibilitychange', onBack);
  return new DisposableDelegate(() => {
    stream.disconnect(onEvent);
    document.removeEventListener('visibilitychange', onBack);
  });
}
