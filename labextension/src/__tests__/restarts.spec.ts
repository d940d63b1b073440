import { ISessionContext } from '@jupyterlab/apputils';
import { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { leaveIfDead, watchRestarts } from '../plugins/restarts';

function kernelWhose(restart: () => Promise<void>): Kernel.IKernelConnection {
  return { restart } as unknown as Kernel.IKernelConnection;
}

function contextWith(kernel: Kernel.IKernelConnection | null) {
  const context = { session: { kernel } } as unknown as ISessionContext;
  const kernelChanged = new Signal<ISessionContext, { newValue: Kernel.IKernelConnection | null }>(context);
  Object.assign(context, { kernelChanged });
  return { context, change: (newValue: Kernel.IKernelConnection | null) => kernelChanged.emit({ newValue }) };
}

const refusal = new Error('no more memory: rule (guardrails.yaml:7)');
const refused = (): Promise<void> => Promise.reject(refusal);

describe('watchRestarts', () => {
  it('tells of a refusal, and lets who asked have it too', async () => {
    const kernel = kernelWhose(refused);
    const told = jest.fn();
    watchRestarts(contextWith(kernel).context, told);
    await expect(kernel.restart()).rejects.toBe(refusal);
    expect(told).toHaveBeenCalledWith(refusal);
  });

  it('says nothing of a restart that works', async () => {
    const kernel = kernelWhose(() => Promise.resolve());
    const told = jest.fn();
    watchRestarts(contextWith(kernel).context, told);
    await kernel.restart();
    expect(told).not.toHaveBeenCalled();
  });

  it('watches the kernel that comes later, once however often it is told of', async () => {
    const kernel = kernelWhose(refused);
    const told = jest.fn();
    const { context, change } = contextWith(null);
    watchRestarts(context, told);
    change(kernel);
    change(null);
    change(kernel);
    await expect(kernel.restart()).rejects.toBe(refusal);
    expect(told).toHaveBeenCalledTimes(1);
  });
});

describe('a kernel whose restart failed', () => {
  const after = async (state: string | undefined): Promise<number> => {
    const shutdown = jest.fn(() => Promise.resolve());
    const context = { session: { kernel: { id: 'k1' } }, shutdown } as unknown as ISessionContext;
    const found = state === undefined ? undefined : { id: 'k1', execution_state: state };
    const manager = { refreshRunning: () => Promise.resolve(), findById: () => Promise.resolve(found) };
    await leaveIfDead(context, manager as unknown as Kernel.IManager);
    return shutdown.mock.calls.length;
  };

  it('is left where the server says that it is dead, and nowhere else', async () => {
    expect([await after('dead'), await after('idle'), await after(undefined)]).toEqual([1, 0, 0]);
  });
});
