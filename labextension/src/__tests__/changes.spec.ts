import type { Event } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { CHANGED, followChanges } from '../state/changes';
import { PollModel } from '../state/pollModel';

class Counted extends PollModel {
  readings = 0;
  elsewhere = false;

  override get inSight(): boolean {
    return this.elsewhere || super.inSight;
  }

  protected load(): Promise<void> {
    this.readings += 1;
    return Promise.resolve();
  }

  protected interval(): number {
    return 90_000;
  }
}

describe('what others change', () => {
  const sender = {};
  let stream: Signal<unknown, Event.Emission>;
  let own: Counted;
  let asked: Counted;
  let following: { dispose(): void };

  const hint = (topic: unknown, schema_id = CHANGED): void => stream.emit({ schema_id, topic } as Event.Emission);
  const settled = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20));
  const hide = (hidden: boolean): void => {
    jest.spyOn(document, 'hidden', 'get').mockReturnValue(hidden);
    document.dispatchEvent(new window.Event('visibilitychange'));
  };

  beforeEach(async () => {
    stream = new Signal(sender);
    own = new Counted('own');
    asked = new Counted('asked');
    own.visible = true;
    await settled();
    own.readings = 0;
    following = followChanges(
      stream,
      new Map([
        ['submissions', [own]],
        ['requests', [own, asked]]
      ])
    );
  });

  afterEach(() => {
    jest.restoreAllMocks();
    following.dispose();
    own.dispose();
    asked.dispose();
  });

  it('is read again at once, by what can be seen alone', async () => {
    hint('requests');
    await settled();
    expect([own.readings, asked.readings]).toEqual([1, 0]);
    asked.elsewhere = true;
    hint('requests');
    await settled();
    expect([own.readings, asked.readings]).toEqual([2, 1]);
  });

  it.each([
    ['another topic', 'review', CHANGED],
    ['a name that every object has', 'constructor', CHANGED],
    ['no text', 5, CHANGED],
    ['another event', 'submissions', 'https://guardrails.example.com/events/notice']
  ])('is not read for %s', async (_, topic, schema) => {
    hint(topic, schema);
    await settled();
    expect(own.readings).toBe(0);
  });

  it('waits until the page is looked at, and is read then', async () => {
    hide(true);
    hint('submissions');
    await settled();
    expect(own.readings).toBe(0);
    hide(false);
    await settled();
    expect(own.readings).toBe(1);
  });

  it('is followed no longer once nobody wants it', async () => {
    following.dispose();
    hint('submissions');
    hide(false);
    await settled();
    expect(own.readings).toBe(0);
  });
});
