import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ReadonlyPartialJSONValue } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';

/** A registry that holds these settings of one plugin and takes others. */
export function registryOf(values: Record<string, ReadonlyPartialJSONValue>): ISettingRegistry {
  const settings = {
    composite: values,
    changed: new Signal<object, void>({}),
    set: (key: string, value: ReadonlyPartialJSONValue): Promise<void> => {
      settings.composite = { ...settings.composite, [key]: value };
      settings.changed.emit();
      return Promise.resolve();
    }
  };
  return { load: () => Promise.resolve(settings) } as unknown as ISettingRegistry;
}
