// The sign-in pages as a person finds their parts: by role, name and label.

// Presses a button that sends a form, and waits for the page that comes then: it may look like this one.
const submit = (page, button) => Promise.all([page.waitForEvent("load"), button.click()]);

// The issuer's first page.
export class SignInPage {
  constructor(page) {
    this.page = page;
    this.heading = page.getByRole("heading", { name: "Sign in", exact: true });
    this.name = page.getByLabel("E-mail address");
    this.password = page.getByLabel("Password");
    this.button = page.getByRole("button", { name: "Sign in" });
    this.alert = page.getByRole("alert");
  }

  async signIn({ email, password }) {
    await this.name.fill(email);
    await this.password.fill(password);
    await submit(this.page, this.button);
  }

  provider(name) {
    return this.page.getByRole("link", { name: `Sign in with ${name}` });
  }
}

// Where users with a first password choose their own.
export class NewPasswordPage {
  constructor(page) {
    this.page = page;
    this.password = page.getByLabel("New password", { exact: true });
    this.repeated = page.getByLabel("New password again");
    this.button = page.getByRole("button", { name: "Set password" });
    this.alert = page.getByRole("alert");
  }

  async choose(password, repeated = password) {
    await this.password.fill(password);
    await this.repeated.fill(repeated);
    await submit(this.page, this.button);
  }
}

// Where users connect an authenticator app.
export class EnrolmentPage {
  constructor(page) {
    this.page = page;
    this.secret = page.getByLabel("Secret key");
    this.link = page.getByRole("link", { name: "Open in an authenticator app" });
    this.code = page.getByLabel("Code");
    this.button = page.getByRole("button", { name: "Connect" });
    this.alert = page.getByRole("alert");
  }

  async connect(code) {
    await this.code.fill(code);
    await submit(this.page, this.button);
  }
}

// Where users enter the code of their authenticator app.
export class CodePage {
  constructor(page) {
    this.page = page;
    this.code = page.getByLabel("Code");
    this.button = page.getByRole("button", { name: "Confirm" });
    this.alert = page.getByRole("alert");
  }

  async confirm(code) {
    await this.code.fill(code);
    await submit(this.page, this.button);
  }
}

// The page that plays the sign-in page of a company.
export class ProviderPage {
  constructor(page) {
    this.page = page;
    this.name = page.getByLabel("Name");
    this.button = page.getByRole("button", { name: "Continue" });
  }

  async continueAs(name) {
    await this.name.fill(name);
    await submit(this.page, this.button);
  }
}

// The page of the emulated Cognito.
export class EmulatorPage {
  constructor(page) {
    this.page = page;
    this.name = page.getByLabel("Username");
    this.password = page.getByLabel("Password");
    this.button = page.getByRole("button", { name: "Sign in" });
  }

  async signIn({ email, password }) {
    await this.name.fill(email);
    await this.password.fill(password);
    await submit(this.page, this.button);
  }
}

// Password and code of a user who has an authenticator app.
export async function signInWithCode(page, user) {
  await new SignInPage(page).signIn(user);
  await new CodePage(page).confirm(await user.authenticator.nextCode());
}
