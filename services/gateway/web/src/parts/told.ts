/** Words on what was done, which go by themselves, or with the login whose they are. */
import { OverlayToaster, type Toaster } from "@blueprintjs/core";

let toaster: Promise<Toaster> | undefined;

export async function tell(...toast: Parameters<Toaster["show"]>): Promise<void> {
  toaster ??= OverlayToaster.create({ position: "bottom", maxToasts: 2 });
  (await toaster).show(...toast);
}

export function clearTold(): void {
  void toaster?.then((each) => each.clear());
}
