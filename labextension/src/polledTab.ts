import { PolledWidget } from './polledWidget';
import { PollModel } from './state/pollModel';

/** A tab of the main area, whose model ends with it. */
export abstract class PolledTab<Model extends PollModel> extends PolledWidget<Model> {
  override dispose(): void {
    super.dispose();
    this.polled.dispose();
  }
}
