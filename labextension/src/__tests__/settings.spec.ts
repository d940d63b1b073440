import { ISettingRegistry } from '@jupyterlab/settingregistry';

import schema from '../../schema/panel.json';
import { DEFAULTS, faultOf, PanelSettings } from '../settings';
import { registryOf } from './fakeSettings';

describe('the settings of the panel', () => {
  it('have the defaults of their schema', () => {
    const defaults = Object.entries(schema.properties).map(([key, property]) => [key, property.default]);
    expect(Object.fromEntries(defaults)).toEqual(DEFAULTS);
  });

  it('are followed while they change', async () => {
    const registry = registryOf({ library: 'polars' });
    const settings = new PanelSettings();
    await settings.follow(registry, 'p');
    expect(settings.values).toEqual({ ...DEFAULTS, library: 'polars' });
    let told = 0;
    settings.changed.connect(() => (told += 1));
    await (await registry.load('p')).set('notices', 'none');
    expect(settings.values.notices).toBe('none');
    expect(told).toBe(1);
  });

  it('remember that the introduction was read', async () => {
    const registry = registryOf({});
    const settings = new PanelSettings();
    expect(settings.values.introduction).toBe(false); // nothing flashes up before they are read
    await settings.follow(registry, 'p');
    expect(settings.values.introduction).toBe(true);
    await settings.introduced();
    expect(settings.values.introduction).toBe(false);
    expect((await registry.load('p')).composite.introduction).toBe(false);
  });

  it('say what does not fit, and leave the defaults', async () => {
    const faults = [{ instancePath: '/pollSeconds', message: 'must be <= 300', keyword: 'maximum', schemaPath: '#' }];
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as JupyterLab's registry does
    const registry = { load: () => Promise.reject(faults) } as unknown as ISettingRegistry;
    const settings = new PanelSettings();
    const reason: unknown = await settings.follow(registry, 'p').catch((error: unknown) => error);
    expect(faultOf(reason)).toBe('pollSeconds must be <= 300');
    expect(faultOf(new Error('away'))).toBe('Error: away');
    expect(settings.values.pollSeconds).toBe(DEFAULTS.pollSeconds);
  });
});
